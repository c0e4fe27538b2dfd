"""What is needed of the operating system: durable files, worker processes, cores and memory."""
