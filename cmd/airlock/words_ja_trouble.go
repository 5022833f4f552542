package main

// japaneseTroubleHeard are what is said of files that cannot be read, and of orders by hand
// while something is wrong.
func japaneseTroubleHeard() []phrase {
	return []phrase{
		{"%s; no door is opened meanwhile", "{1}。その間、扉は開けません"},
		{"the lockdown file cannot be read: %s", "封鎖のファイルを読めません: {1}"},
		{"the ledger cannot be asked for a lockdown: %s", "封鎖中かどうかを台帳で確かめられません: {1}"},
		{"nobody knows whether there is a lockdown", "封鎖中かどうかが分かりません"},
	}
}
