"""Whether an agent is ready for its stage: evidence from the files and from what runs, by domain, and the verdict."""
