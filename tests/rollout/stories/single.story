# One instance: for a moment there are two.
before 1
wanted 1
old 0
0.5s done 1
1.0s done 0
1.2s done 1
