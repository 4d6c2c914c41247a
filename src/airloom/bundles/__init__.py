"""Where DAG code comes from. A bundle lists its files and reads them; it parses nothing."""
