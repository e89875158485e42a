"""The words of made-up calendars: names, breeds, types, phrases.

``generation`` and ``consultations`` choose among them. No name belongs to a real
client or patient.
"""

FIRST_NAMES = (
    "Amelia", "Noah", "Priya", "Łukasz", "Zoë", "Siobhán", "José", "Mei", "Yuki", "Olena",
    "Дмитрий", "Ελένη", "小明", "太郎", "지우", "فاطمة", "נועה", "Nguyên", "Chloé", "Björn",
    "D'Arcy", "Mary Jane", "Kwame", "Ingrid",
)  # fmt: skip
LAST_NAMES = (
    "Whitfield", "O'Connor", "Nowak", "García-López", "Müller", "van der Berg", "Nguyễn",
    "Sørensen",
    "Иванова", "Παππάς", "王", "佐藤", "김", "الحسن", "כהן", "Okafor", "Smith", "Patel", "Ó Briain",
    "Fernández", "Kowalczyk", "Singh", "Ah-Kee", "St. John",
)  # fmt: skip
PET_NAMES = (
    "Biscuit", "Luna", "Max", "Peanut", "Señor Whiskers", "Мурка", "ココ", "豆豆", "코코",
    "Σωκράτης",
    "Zażółć", "Mr. Darcy", "Pepper 🐾", "Ruby", "Gizmo", "Bella 💖", "Tofu", "Noodle", "Ziggy",
    "Princess \"P\"", "Rex & Co", "Bluey", "Pip", "Olive", "Ghost", "لولو", "שוקו", "Chloé", "Bear",
    "Nala", "Hugo", "Waffles",
)  # fmt: skip

SPECIES: tuple[tuple[str, int, tuple[str, ...], tuple[float, float]], ...] = (
    (
        "Canine",
        55,
        ("Labrador Retriever", "Border Collie", "Cavalier King Charles Spaniel", "Kelpie",
         "French Bulldog", "German Shepherd Dog", "Greyhound", "Mixed Breed", "Shih Tzu"),
        (4.0, 42.0),
    ),
    (
        "Feline",
        34,
        ("Domestic Shorthair", "Domestic Longhair", "Maine Coon", "Siamese", "Ragdoll", "Bengal"),
        (2.6, 8.2),
    ),
    ("Rabbit", 5, ("Netherland Dwarf", "Mini Lop", "Dutch"), (0.9, 3.4)),
    ("Avian", 3, ("Cockatiel", "Budgerigar", "Eclectus"), (0.035, 0.6)),
    ("Reptile", 2, ("Bearded Dragon", "Eastern Blue-tongue"), (0.2, 0.7)),
    ("Equine", 1, ("Shetland Pony", "Thoroughbred"), (180.0, 560.0)),
)  # fmt: skip
"""Species, weight in the draw, breeds, and the range of body weights in kilograms."""

TYPES: tuple[tuple[str | None, int, int], ...] = (
    ("Exam/vaccines", 20, 30),
    ("Wellness", 9, 30),
    ("Consultation", 14, 20),
    ("Sick pet - exam", 10, 30),
    ("Recheck", 10, 15),
    ("Follow-up / bandage", 4, 15),
    ("Suture removal", 4, 15),
    ("Dental - Surgery", 6, 90),
    ("SURGERY (spay)", 5, 120),
    ("Neuter", 3, 60),
    ("URGENT - vomiting", 4, 30),
    ("Emergency", 2, 45),
    ("Diagnostic: bloods & x-ray", 5, 45),
    ("Vax", 5, 15),
    ("nail trim (tech)", 4, 15),
    ("Puppy / kitten first check-up 🐶", 3, 40),
    ("", 2, 20),
    (None, 2, 20),
)
"""A clinic's own appointment types: name, weight in the draw, usual minutes."""

REASONS = (
    "Annual check and boosters", "Limping on the left hind leg since Sunday", "Itchy ears",
    "Off food",
    "Weight check & diet advice", "Vomited twice overnight", "Lump on the flank – has it grown?",
    "Pre-anaesthetic bloods", "Stitches out", "Coughing <2 days", "Behaviour: scratching the sofa",
    "Owner asks for a repeat of the ear drops", "", None,
)  # fmt: skip

PROVIDERS = ("Dr. Ada Fenwick", "Dr. Tomás Rivera", "Dr. 林 Wei", "Dr. Aoife Ní Dhomhnaill")
ROOMS = ("Room 1", "Room 2", "Surgery", "Cat room")

SUBJECTIVE = (
    "Owner reports bright and eating well, no coughing or sneezing.",
    "Vomited twice overnight; still drinking. No access to toxins known.",
    "Scratching at both ears for a week, worse on the right.",
    "Limping after a run on the beach, better with rest.",
    "Here for the yearly booster. Owner has no concerns.",
)
OBJECTIVE = (
    "BAR, MM pink & moist, CRT < 2 s. Heart and lungs clear. Abdomen soft, non-painful.",
    "Mild dehydration (about 5%). Tense on cranial abdominal palpation.",
    "Erythema and brown discharge in the right ear canal; drum intact.",
    "Grade 2/5 lameness; mild effusion of the stifle, no drawer.",
    "BCS 6/9. Grade 1 dental tartar. Skin and coat good.",
)
ASSESSMENT = (
    "Healthy adult.",
    "Acute gastroenteritis, likely dietary indiscretion.",
    "Otitis externa, right.",
    "Suspected partial cruciate tear – ddx soft-tissue strain.",
    "Overweight; otherwise well.",
)
PLAN = (
    "Vaccinated today. Recheck in 12 months.",
    "Bland diet for 3 days, maropitant given. Return if not better in 24 h.",
    "Ear cytology done; drops twice a day for 7 days, then recheck.",
    "Strict rest for 2 weeks, meloxicam with food. X-ray if no better.",
    "Diet plan discussed: 60 g twice a day, weigh in 4 weeks.",
)
DISCHARGES = (
    "<p>Please keep {name} quiet for 24 hours. Call us if anything worries you.</p>",
    "Give the tablets with food. Next appointment: see your e-mail.",
    "<div>Water tonight, <em>small</em> meals from tomorrow&nbsp;morning.</div>",
)
DIAGNOSES = (
    ("Otitis externa", "OE-01"),
    ("Acute gastroenteritis", None),
    ("Dental disease, grade 2", "DD-2"),
    ("Cranial cruciate ligament disease (suspected)", None),
    ("Obesity", "OB"),
    ("Flea allergy dermatitis", None),
)
PRODUCTS = (
    "Consultation fee", "DHPPi vaccine", "FVRCP vaccine", "Rabies vaccine", "Maropitant 10 mg/ml",
    "Meloxicam 1.5 mg/ml – 32 ml", "Ear cytology", "Complete blood count", "Dental scale & polish",
    "Microchip", "Nail trim", "Fluids, subcutaneous", "Flea & tick tablet",
)  # fmt: skip
BLOCK_TITLES = ("Staff meeting", "HOLD - drop-offs", "Surgery block")
