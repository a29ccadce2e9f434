module kubevirt.lifecycle/lab/guest

go 1.24.0

tool kubevirt.lifecycle/lab/guest
