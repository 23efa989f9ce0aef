# Spins in the given number of processes, and takes the given megabytes again
# and again. The one that takes memory may be killed for it; the others go on.
import os
import sys
import time

megabytes, spinners = int(sys.argv[1]), int(sys.argv[2])
for _ in range(spinners):
    if os.fork() == 0:
        while True:
            pass
print("busy")
while True:
    child = os.fork()
    if child == 0:
        taken = []
        for _ in range(megabytes):
            taken.append(b"x" * (1 << 20))
        time.sleep(1)
        os._exit(0)
    os.waitpid(child, 0)
