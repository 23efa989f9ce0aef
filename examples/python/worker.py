"""Counts, to show a process type that serves no requests."""

import itertools
import time

for number in itertools.count(1):
    print("worked", number, flush=True)
    time.sleep(10)
