# From two to eight: all missing ones at once.
before 2
wanted 8
new 0-1
restore no
0.5s done 2
0.5s done 3
0.6s done 4
0.6s done 5
0.7s done 7
0.9s done 6
