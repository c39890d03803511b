"""Model files: opened safely, recognised by what they hold, and loaded with nothing left over."""
