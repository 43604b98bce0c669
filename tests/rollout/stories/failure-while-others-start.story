# Of three replaced at a time, one fails: the others are awaited before the old definition is put back.
before 3
wanted 3
old 0-2
max_surge 1
max_unavailable 2
0.5s done 3
1.0s failed 0
1.2s done 1
1.3s done 2
1.5s restored
2.0s done 0
2.1s done 1
2.2s done 2
2.3s done 3
