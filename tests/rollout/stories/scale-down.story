# From four to two: the highest go, and nothing else happens.
before 4
wanted 2
new 0-3
restore no
0.5s done 3
2.5s done 2
