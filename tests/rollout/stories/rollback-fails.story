# The old definition does not start any more either: hands off.
before 3
wanted 3
old 0-2
0.5s done 3
1.0s failed 0
1.2s restored
1.8s failed 0
