-- The tables of a v4.0 installation as it is deployed, with the application's other tables.
-- Synthetic: made from the documented facts, with names that fit them.

CREATE TYPE "CaseType" AS ENUM ('checkup', 'emergency', 'surgery', 'follow_up');
CREATE TYPE "CaseStatus" AS ENUM ('reviewed', 'ongoing', 'completed', 'draft');
CREATE TYPE "CaseVisibility" AS ENUM ('public', 'private');

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    is_admin boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE clinics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    slug text UNIQUE,
    pims_type text,
    timezone text,
    is_active boolean NOT NULL DEFAULT true,
    address text,
    phone text,
    email text,
    logo_url text,
    plan text NOT NULL DEFAULT 'standard',
    settings jsonb NOT NULL DEFAULT '{}',
    owner_id uuid REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE clinic_members (
    clinic_id uuid NOT NULL REFERENCES clinics (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (clinic_id, user_id)
);

CREATE TABLE cases (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid REFERENCES clinics (id),
    user_id uuid REFERENCES users (id),
    external_id text,
    source text,
    scheduled_at timestamptz,
    type "CaseType" NOT NULL DEFAULT 'checkup',
    status "CaseStatus" NOT NULL DEFAULT 'draft',
    visibility "CaseVisibility" NOT NULL DEFAULT 'private',
    metadata jsonb DEFAULT '{}',
    embedding_state text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cases_external_id ON cases (external_id);

CREATE TABLE patients (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid NOT NULL UNIQUE REFERENCES cases (id) ON DELETE CASCADE,
    clinic_id uuid REFERENCES clinics (id),
    name text,
    species text,
    breed text,
    sex text,
    date_of_birth date,
    owner_name text,
    owner_phone text,
    owner_email text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE calls (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid REFERENCES cases (id) ON DELETE SET NULL,
    outcome text
);
CREATE TABLE scheduled_emails (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
    subject text
);
CREATE TABLE notes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
    body text
);
CREATE TABLE discharge_summaries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
    content jsonb
);
CREATE TABLE soap_notes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid NOT NULL REFERENCES cases (id) ON DELETE CASCADE,
    subjective text,
    plan text
);
CREATE TABLE vital_signs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid REFERENCES cases (id),
    weight_kg numeric
);
CREATE TABLE transcriptions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    case_id uuid REFERENCES cases (id) ON DELETE CASCADE,
    content text
);

CREATE TABLE case_sync_audits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid REFERENCES clinics (id),
    sync_type text NOT NULL CHECK (sync_type IN ('inbound', 'cases', 'reconciliation')),
    status text NOT NULL CHECK (status IN ('in_progress', 'completed', 'failed')),
    appointments_found integer DEFAULT 0,
    cases_created integer DEFAULT 0,
    cases_updated integer DEFAULT 0,
    cases_deleted integer DEFAULT 0,
    error_message text,
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz
);

CREATE TABLE clinic_api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id),
    name text NOT NULL,
    key_hash text NOT NULL,
    key_prefix text NOT NULL,
    permissions text[] NOT NULL DEFAULT ARRAY['sync:inbound', 'sync:cases', 'sync:reconciliation'],
    expires_at timestamptz,
    is_active boolean NOT NULL DEFAULT true,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE idexx_credentials (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id),
    clinic_id uuid REFERENCES clinics (id),
    username_encrypted bytea NOT NULL,
    password_encrypted bytea NOT NULL,
    company_id_encrypted bytea,
    encryption_key_id text NOT NULL DEFAULT 'default',
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE clinic_schedule_config (
    clinic_id uuid PRIMARY KEY REFERENCES clinics (id) ON DELETE CASCADE,
    sync_schedules jsonb NOT NULL DEFAULT '[]',
    timezone text,
    target_room_id text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Another table under the name of one of the pipeline's.
CREATE TABLE pims_appointments (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clinic_id uuid REFERENCES clinics (id),
    appointment_id text,
    starts_at timestamptz,
    raw jsonb
);

CREATE FUNCTION is_admin(uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = public
    AS 'SELECT coalesce((SELECT is_admin FROM users WHERE id = $1), false)';
CREATE FUNCTION acting_user() RETURNS uuid LANGUAGE sql STABLE
    AS $$SELECT nullif(current_setting('request.jwt.sub', true), '')::uuid$$;
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN NEW.updated_at := now(); RETURN NEW; END$$;
CREATE TRIGGER cases_touch BEFORE UPDATE ON cases
    FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

ALTER TABLE cases ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_cases ON cases
    USING (user_id = acting_user() OR visibility = 'public' OR is_admin(acting_user()));
ALTER TABLE patients ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_patients ON patients
    USING (EXISTS (SELECT FROM cases WHERE cases.id = patients.case_id));
ALTER TABLE clinic_api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_keys ON clinic_api_keys USING (user_id = acting_user());
ALTER TABLE idexx_credentials ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_credentials ON idexx_credentials USING (user_id = acting_user());

CREATE PUBLICATION supabase_realtime FOR TABLE case_sync_audits;
