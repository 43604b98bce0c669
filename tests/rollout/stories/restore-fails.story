# The old unit files cannot be put back.
before 2
wanted 2
old 0-1
0.5s done 2
1.0s failed 0
1.1s not restored no space left on device
