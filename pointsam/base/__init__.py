"""What every part may use: errors, files, documents, seeding, progress."""
