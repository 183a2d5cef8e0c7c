package process

import "sync"

// kept holds PID files, health servers and daemons that run, so that they live on although the program has dropped them:
// the library gives up a lock and stops a server when the last reference to it is gone.
var kept sync.Map

func keep(running any)  { kept.Store(running, nil) }
func letGo(running any) { kept.Delete(running) }
