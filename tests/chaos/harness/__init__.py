"""What the campaigns share: a small project, real workers that can be held at a system call, and what must be true."""
