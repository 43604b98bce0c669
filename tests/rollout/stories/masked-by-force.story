# With force nobody asks again for what systemd has refused.
before 3
wanted 3
old 0-2
force yes
1 timeout 3
2 refused 1
3 done 0
3 done 2
4 done 3
