package main

// japaneseDoors is what this program says of doors, their ports and their probes.
func japaneseDoors() []phrase {
	return []phrase{
		{"Say that what airlock found changed, and holds back for, is right", "変化を検出して止めているものについて、正しいと伝える"},
		{longAccept, "変化を検出して止めているものについて、正しいと伝えます。部門システムの名前を指定すると、保留中の収集、または別のディスクに移った収集元を正しいものと認めます。そのスナップショットはほかと同じ扱いになり、以後の収集はそれと比べます。--door では、以前とは別のポートでも、設定ファイルが今指定しているものがその扉のポートだと認めます。それまでは、そのポートに何も送らず、開扉もしません。先に元のポートを確かめてください。認めた後は、元のポートを誰も監視しません。"},
		{"the `door` whose port is the right one", "ポートを認める `door`（扉）"},
		{"door %s is port %s from now on", "今後、扉 {1} のポートは {2} です"},
	}
}

// japaneseDoorsHeard is what the executor says of them.
func japaneseDoorsHeard() []phrase {
	return []phrase{
		{"door %s: its probe can prove nothing now: %s", "扉 {1}: 応答確認（probe）の無応答が、今は閉鎖の証拠になりません: {2}"},
		{"nothing is sent to the port: %s", "ポートに何も送りません: {1}"},
		{"door %s was port %s, and the policy now names %s; if that is right: airlock accept --door %s --reason TEXT; %s", "扉 {1} はこれまで {2} でしたが、設定ファイルは今 {3} を指定しています。正しければ: airlock accept --door {4} --reason 理由。{5}"},
		{"it was port %s, and the policy now names %s; if that is right: airlock accept --door %s --reason TEXT", "これまで {1} でしたが、設定ファイルは今 {2} を指定しています。正しければ: airlock accept --door {3} --reason 理由"},
		{"doors %s and %s are one port, %s; give each door a port of its own in the policy file, and see airlock check --connect", "扉 {1} と {2} は同じポート {3} です。設定ファイルで扉ごとに別のポートを指定してください。確認: airlock check --connect"},
		{"by switch %s it is %s, and by the first way %s; put fallback_port right", "スイッチ {1} では {2}、第一の経路では {3} です。fallback_port を直してください"},
		{"the old port is shut", "元のポートは閉じています"},
		{"THE OLD PORT STANDS OPEN: shut it at the switch", "元のポートが開いています。スイッチで閉じてください"},
		{"how the old port stands cannot be read from here: look at its switch", "元のポートの状態はここからは読めません。スイッチで確かめてください"},
		{"there is nothing to accept: door %s is the port that it was", "認めるものがありません。扉 {1} のポートは以前と同じです"},
		{"the ledger does not take it, so nothing is accepted: %s", "台帳に記録できないため、認めていません: {1}"},
		{"own link %s is down", "自分側のリンク {1} が切れています"},
		{"control %s silent", "control {1} も応答しません"},
		{"gateway %s silent", "ゲートウェイ {1} も応答しません"},
	}
}
