package main

// japaneseTroubleHeard are what is said of files that cannot be read, and of orders by hand
// while something is wrong.
func japaneseTroubleHeard() []phrase {
	return []phrase{
		{"%s; no door is opened meanwhile", "{1}。その間、扉は開けません"},
		{"the lockdown file cannot be read: %s", "封鎖のファイルを読めません: {1}"},
		{"the ledger cannot be asked for a lockdown: %s", "封鎖中かどうかを台帳で確かめられません: {1}"},
		{"the ledger cannot be compared just now with the head that vault %s holds: %s", "二次保管先 {1} の持つ台帳ヘッドと、いまは照合できません: {2}"},
		{"%s; a file %s that is damaged may be removed, for the next window asks the vault itself", "{1}。壊れた {2} は消してかまいません。次の開扉で二次保管先そのものに確かめます"},
		{"nobody knows whether a guard runs: %s", "見張りが動いているか分かりません: {1}"},
		{"no guard on another machine is expected: guard.leases in the policy file says that there is one", "別のサーバーの見張りは予定されていません。動かす場合は設定ファイルの guard.leases に書きます"},
		{"this name is none of this site's: ask by its address, or add the name to status.hosts in the policy file", "この名前では答えません。アドレスで問い合わせるか、名前を設定ファイルの status.hosts に加えてください"},
		{"too many ask at once", "問い合わせが多すぎます"},
		{"nobody knows whether there is a lockdown", "封鎖中かどうかが分かりません"},
	}
}
