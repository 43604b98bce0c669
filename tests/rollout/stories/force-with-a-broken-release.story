# --force overrules a timeout, not a crash.
before 2
wanted 2
old 0-1
force yes
0.3s failed 2
0.4s done 2
0.5s restored
