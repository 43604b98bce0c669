# clusterctl restart: everything goes at once, the connections wait in the kernel.
before 3
wanted 3
old 0-2
restore no
max_surge 0
max_unavailable 100%
0.5s done 0
0.5s done 1
0.6s done 2
