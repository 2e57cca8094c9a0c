-- Create the database NAME if it is missing.
-- Set the encoding: the default follows the locale of the image, and Airflow stores non-ASCII text.
\set name `echo "$NAME"`
SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C'' LC_CTYPE ''C''', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
