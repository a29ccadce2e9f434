module kubevirt.lifecycle/lab/pause

go 1.24.0

tool kubevirt.lifecycle/lab/pause
