"""The changes of the database, oldest first; a file that was once released is never changed."""
