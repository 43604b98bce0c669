# Fewer instances and a new definition at once: one of those that go anyway is the canary.
before 4
wanted 2
old 0-3
0.5s done 2
1.0s done 0
1.5s done 1
1.7s done 3
1.8s done 2
