# Instance 1 is masked meanwhile: systemd refuses its job, and its old process serves on, untouched.
before 3
wanted 3
old 0-2
restore yes
on_failure pause
1 seen 3 starting
2 done 3
3 done 0
3 refused 1
4 seen 3 dead
4 done 3
