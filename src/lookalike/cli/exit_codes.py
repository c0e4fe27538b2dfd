"""The exit codes of the command line.

Exit codes: 0 done, 1 unexpected, 2 usage, 3 done but nothing could be read, or many images are missing, or with
`index --strict` a file was left out, 4 corrupt or incompatible collection, 5 disk or resources, 6 another process is
writing, 130 stopped by Ctrl-C.
"""

UNEXPECTED = 1
USAGE = 2
INCOMPLETE = 3
CORRUPT = 4
RESOURCES = 5
LOCKED = 6
STOPPED = 130  # 128 and the number of the signal, as shells have it
