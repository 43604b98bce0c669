# max_surge = "100%" on a machine with two processors: quick starts do not take time from one another, and as soon as two new ones serve the old ones are replaced in place.
before 4
wanted 4
old 0-3
restore no
max_surge 100%
starts_at_once 2
0.05s done 4
0.05s done 5
0.10s done 0
0.10s done 1
0.15s done 2
0.15s done 3
0.16s done 5
0.16s done 4
