"""SQLite through SQLAlchemy Core, and its migrations."""
