-- Give the database NAME to the role NAME, which may log in with ROLE_PASSWORD and connect to no other database.
\set name `echo "$NAME"`
\set password `echo "$ROLE_PASSWORD"`
-- The server would log a failed statement, with the password.
SET log_min_error_statement = panic;
SELECT format('CREATE ROLE %I', :'name')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
REVOKE ALL ON DATABASE postgres, template1, :"name" FROM PUBLIC;
ALTER DATABASE :"name" OWNER TO :"name";

\connect :"name"
-- REASSIGN OWNED refuses the objects of the role that created the server. Indexes, and sequences of columns, follow their
-- tables.
DO $$
DECLARE
  role regrole := quote_ident(current_database())::regrole;
  object text;
BEGIN
  FOR object IN
    SELECT format('%s %s', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                           ELSE 'TABLE' END, oid::regclass)
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relowner <> role AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass
                                         AND objid = pg_class.oid AND deptype IN ('a', 'i')))
    UNION ALL
    SELECT format('TYPE %s', oid::regtype)
    FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typowner <> role AND typtype IN ('e', 'd')
    UNION ALL
    SELECT format('ROUTINE %s', oid::regprocedure)
    FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND proowner <> role
  LOOP
    EXECUTE format('ALTER %s OWNER TO %s', object, role);
  END LOOP;
END $$;
