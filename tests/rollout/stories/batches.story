# max_surge = 2, max_unavailable = 1: two extra instances, then three replaced at a time.
before 6
wanted 6
old 0-5
max_surge 2
max_unavailable 1
0.5s done 6
0.6s done 7
1.0s done 0
1.0s done 1
1.1s done 2
1.6s done 3
1.6s done 4
1.7s done 5
1.8s done 7
1.9s done 6
