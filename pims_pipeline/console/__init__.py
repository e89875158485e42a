"""The operator's console: pages that the server renders, for people who run the pipeline.

A page is a route in ``routes/`` and a template in ``templates/``. It depends on ``Visitor``
(``access/visitors.py``), calls services of ``operations`` with the visitor's engine, which sees
the operator's clinics alone, and never the store. A form's route depends on ``SentForm``.
Mounted beside the API by the command line; knows neither the API nor a setting.
"""
