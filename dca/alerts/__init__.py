"""What is wrong, incidents, the digest, and how mail goes out."""
