package operate

import "testing"

// recordedGroup returns the facts about two replicas of a clusterless group. a is the primary.
func recordedGroup(t *testing.T) [2]*Found {
	t.Helper()
	replicas := []FoundReplica{
		{Server: "sqla", Endpoint: "tcp://sqla:5022", Mode: "SYNCHRONOUS_COMMIT", Failover: "MANUAL", Role: "PRIMARY", Connected: "CONNECTED"},
		{Server: "sqlb", Endpoint: "tcp://sqlb:5022", Mode: "SYNCHRONOUS_COMMIT", Failover: "MANUAL", Role: "SECONDARY", Connected: "CONNECTED"},
	}
	seen := [2]*Found{}
	for i, role := range []string{"PRIMARY", "SECONDARY"} {
		seen[i] = &Found{On: []Side{A, B}[i], Address: replicas[i].Server, ServerName: replicas[i].Server, Version: "16.0.4135.4", Sysadmin: true, Groups: true, Linux: true,
			Database: &FoundDatabase{State: "ONLINE", Recovery: "FULL", Access: "MULTI_USER", Opens: i == 0},
			Group:    &FoundGroup{Name: "ag1", Cluster: "NONE", Role: role, State: "SYNCHRONIZED", EndOfLog: "41000000030400001", Replicas: replicas}}
	}
	return seen
}
