# max_surge = "100%" of a program that waits for something else than a processor: all have begun after a moment.
before 4
wanted 4
old 0-3
restore no
max_surge 100%
starts_at_once 2
0.1s tick
3s done 4
3s done 5
3s done 6
3s done 7
3.1s tick
6s done 0
6s done 1
6s done 2
6s done 3
6.1s done 7
6.1s done 6
6.1s done 5
6.1s done 4
