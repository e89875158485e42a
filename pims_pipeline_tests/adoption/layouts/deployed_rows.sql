-- A few rows of a v4.0 installation in the deployed layout: one clinic, with one case and what
-- the application keeps about it. Synthetic.

INSERT INTO users (id, email) VALUES ('a0000000-0000-4000-8000-000000000001', 'vet@clinic.example');

INSERT INTO clinics (id, name, slug, pims_type, timezone, owner_id) VALUES (
    'c0000000-0000-4000-8000-000000000001', 'Maple Street Veterinary', 'maple-street', 'idexx',
    'America/New_York', 'a0000000-0000-4000-8000-000000000001'
);
INSERT INTO clinic_members VALUES (
    'c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001'
);

INSERT INTO cases (id, clinic_id, user_id, external_id, source, scheduled_at, status, metadata)
VALUES (
    'ca000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001',
    'a0000000-0000-4000-8000-000000000001', 'pims-appt-idexx-neo-1', 'pims:idexx-neo',
    '2026-03-02 14:00+00', 'ongoing', '{"pimsAppointment": {"id": "1"}}'
);
INSERT INTO patients (case_id, clinic_id, name, species, owner_name) VALUES (
    'ca000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'Rex', 'dog',
    'Invented Owner'
);
INSERT INTO notes (case_id, body) VALUES ('ca000000-0000-4000-8000-000000000001', 'A note.');

INSERT INTO case_sync_audits (clinic_id, sync_type, status, appointments_found) VALUES
    ('c0000000-0000-4000-8000-000000000001', 'inbound', 'completed', 1),
    ('c0000000-0000-4000-8000-000000000001', 'cases', 'in_progress', 0);
INSERT INTO clinic_api_keys (user_id, name, key_hash, key_prefix) VALUES (
    'a0000000-0000-4000-8000-000000000001', 'dashboard', repeat('0', 64), 'abcdefgh'
);
INSERT INTO idexx_credentials (clinic_id, username_encrypted, password_encrypted) VALUES (
    'c0000000-0000-4000-8000-000000000001', '\x00', '\x00'
);
INSERT INTO clinic_schedule_config (clinic_id, sync_schedules) VALUES (
    'c0000000-0000-4000-8000-000000000001',
    '[{"type": "inbound", "cron": "*/15 * * * *", "enabled": true}]'
);
INSERT INTO pims_appointments (clinic_id, appointment_id, starts_at) VALUES (
    'c0000000-0000-4000-8000-000000000001', '1', '2026-03-02 14:00+00'
);
