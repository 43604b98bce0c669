# One of the new instances does not start: those that serve go on, and systemd goes on trying.
before 1
wanted 3
new 0
restore no
0.5s done 1
0.7s failed 2
