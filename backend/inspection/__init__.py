"""What the workbench shows: each part of a workspace as plain data that a page can draw."""
