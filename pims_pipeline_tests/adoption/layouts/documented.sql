-- The tables of a v4.0 installation as its architecture document describes them.
-- Synthetic: made from the documented facts.

CREATE TABLE clinics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    slug text UNIQUE,
    timezone text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    pims_id text,
    patient_name text NOT NULL,
    client_name text,
    scheduled_date date,
    status text NOT NULL DEFAULT 'draft',
    case_type text NOT NULL DEFAULT 'checkup',
    metadata jsonb NOT NULL DEFAULT '{}',
    visibility text NOT NULL DEFAULT 'private',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (clinic_id, pims_id)
);

CREATE TABLE case_notes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
    body text
);

CREATE TABLE case_sync_audits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    sync_type text NOT NULL,
    status text NOT NULL,
    appointments_found integer NOT NULL DEFAULT 0,
    cases_created integer NOT NULL DEFAULT 0,
    cases_updated integer NOT NULL DEFAULT 0,
    cases_deleted integer NOT NULL DEFAULT 0,
    error_message text,
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
);

CREATE TABLE clinic_api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    api_key text UNIQUE,
    key_prefix text,
    key_hash text,
    permissions text[],
    is_active boolean NOT NULL DEFAULT true,
    expires_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE pims_credentials (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid NOT NULL REFERENCES clinics (id),
    provider_type text NOT NULL,
    encrypted_data bytea NOT NULL,
    encryption_key_id text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE clinic_schedule_configs (
    clinic_id uuid PRIMARY KEY REFERENCES clinics (id),
    sync_schedules jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);
