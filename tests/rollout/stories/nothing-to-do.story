# Everything is as it should be.
before 2
wanted 2
new 0-1
