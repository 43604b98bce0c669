# The job of the canary was done, and by the time that it is looked at it is dead: nothing else is touched.
before 2
wanted 2
old 0-1
min_ready 1s
0.1s unready 2
0.1s done 2
0.2s restored
0.3s done 2
