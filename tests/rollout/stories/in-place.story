# max_surge = 0: the first one replaced is the canary, then one after the other.
before 3
wanted 3
old 0-2
max_surge 0
max_unavailable 1
0.5s done 0
1.0s done 1
1.5s done 2
