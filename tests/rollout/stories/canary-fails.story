# The new release throws at start: no instance that serves is touched, and the old definition is put back.
before 4
wanted 4
old 0-3
0.4s failed 4
0.5s done 4
0.6s restored
