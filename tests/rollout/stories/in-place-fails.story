# max_surge = 0, and the first one does not start: it gets the old definition again.
before 3
wanted 3
old 0-2
max_surge 0
0.5s failed 0
0.6s restored
1.1s done 0
