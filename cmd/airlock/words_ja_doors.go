package main

// japaneseShutDoors is what is known with the doors shut, and refuses a window.
func japaneseShutDoors() []phrase {
	return []phrase{
		{"%s of memory are left for airlock on this machine, and a window may need %s: end what takes it, or give airlock's service more (MemoryMax=)", "このコンピューターで airlock が使えるメモリーの残りは {1} です。開扉では {2} を使うことがあるため、メモリーを使っているものを終わらせるか、airlock のサービスの MemoryMax= を増やしてください"},
		{"the state folder %s has %s free, and a window may need %s for the ledger and its memory: free some space there", "状態フォルダー {1} の空きは {2} です。開扉では台帳と記憶に {3} を使うことがあるため、空きを作ってください"},
		{"what a window of vault %s needs could not be looked at, a disk hangs: %s", "二次保管先 {1} の開扉に要るものを確かめられません。ディスクが応答していません: {2}"},
		{"vault %s has no room: the window needs %s, and the vault had %s free at its last receipt, of %s; raise its quota or prune there, then: airlock window %s --room-was-made", "二次保管先 {1} に空きがありません。必要な容量は {2}、最後の受領証（{4}）での空きは {3} です。上限（quota）を増やすか prune を実行してから: airlock window {5} --room-was-made"},
		{"vault %s has no room: the window needs %s, and the vault had %s free at its last receipt, of %s; it may have pruned since, so the window is held", "二次保管先 {1} の空きが足りないおそれがあります。必要な容量は {2}、最後の受領証（{4}）での空きは {3} です。その後に prune で空いた可能性があるため、開扉は行います"},
		{"%s; the window needs %s", "{1}。この開扉に必要な容量は {2} です"},
		{"%s: what would be sent could not be restored; put the right passphrase back (%s)", "{1}: 送っても復元できません。正しいパスフレーズに戻してください（{2}）"},
		{"vault %s: %s; mount it, or, if it is right as it is now: airlock window %s --replaced --reason TEXT", "二次保管先 {1}: {2}。マウントするか、いまの状態が正しいなら: airlock window {3} --replaced --reason 理由"},
		{"the vault's folder %s: %s; mount its disk, or make the folder above it", "二次保管先のフォルダー {1}: {2}。ディスクをマウントするか、その上のフォルダーを作ってください"},
		{"the vault's folder %s cannot be written to: %s", "二次保管先のフォルダー {1} に書き込めません: {2}"},
		{"%s is the same place as %s, at %s: a vault needs one of its own", "{1} は{2}（{3}）と同じ場所です。二次保管先には専用の場所が必要です"},
		{"%s lies in %s, at %s: a vault needs a place of its own", "{1} は{2}（{3}）の中にあります。二次保管先には専用の場所が必要です"},
		{"%s lies around %s, at %s: a vault needs a place of its own", "{1} の中に{2}（{3}）があります。二次保管先には専用の場所が必要です"},
		{"a window finds what it needs here; the vault stands behind its door, which a check does not open", "開扉に要るものは、このサーバーにそろっています。二次保管先は扉の向こうにあり、点検では扉を開けません"},
		{"the repository", "一次保管先"},

		// A ledger that somebody laid hands on.
		{"%s; shutting goes on, and no vault's door is opened; put the very file back, or end the executor and start it again: it carries on with what lies there, and what vaults hold tells what is missing", "{1}。扉を閉じることは続け、二次保管先の扉は開けません。同じファイルを元に戻すか、実行役を止めて起動し直してください。そこにある台帳から続け、足りないものは二次保管先の控えで分かります"},
		{"%s: %s is not there any more", "{1}: {2} がありません"},
		{"%s: another file lies at %s", "{1}: {2} は別のファイルです"},
		{"the ledger's file was removed or replaced under the running executor", "実行中に台帳のファイルが削除または交換されました"},
		{"the ledger was changed under the running executor", "実行中に台帳が書き換えられました"},
		{"%s: entries %s to %s are not those that were written; airlock audit verify names what was changed", "{1}: 記録 {2}〜{3} が書かれたときのものと異なります。どこが変わったかは airlock audit verify で分かります"},

		// S16: another vault than before.
		{"the vault is another one than before, or lost its history, and that is right; needs --reason", "二次保管先が別のものになった、または履歴を失ったのは正しい（--reason が必要）"},
		{"the folder is another one than before, and that is right: what the state knows of the other is given up", "フォルダーが別のものになったのは正しい（状態フォルダーが知る以前の内容はあきらめる）"},
		{"send to vault %s: %s", "二次保管先 {1} への送信: {2}"},
		{"another vault than before", "以前の二次保管先ではありません"},
		{"%s: none of the generations that were left in it (%s to %s) is there; is its disk mounted? Nothing was sent. If this is right: airlock window %s --replaced --reason TEXT", "{1}: 残したはずの世代（{2}〜{3}）が一つもありません。ディスクはマウントされていますか。何も送っていません。これで正しいなら: airlock window {4} --replaced --reason 理由"},
		{"%s; %s generations are gone from the vault (%s first), and airlock did not drop them: find out who did; if it is right: airlock window %s --replaced --reason TEXT", "{1}。{2} 世代が二次保管先からなくなっています（最初は世代 {3}）。airlock が消したものではありません。原因を調べてください。正しいなら: airlock window {4} --replaced --reason 理由"},
		{"the vault has room again, whatever its last receipt says", "最後の受領証にかかわらず、二次保管先には空きがある"},
	}
}
