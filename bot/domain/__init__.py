"""Pure rules: no files, no database, no Discord, no clock of their own."""
