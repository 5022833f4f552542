package main

// japaneseVaultHost are texts of the commands on a vault's own host.
func japaneseVaultHost() []phrase {
	return []phrase{
		{"Drop the generations that no rule keeps, and the blobs that no generation lists. With --strays it is a person's decision instead: what arrived after a generation that is known to be good, and belongs to none, is dropped; what a generation of the site lists never is.", "どの規則にも当てはまらない世代と、どの世代にも属さないブロブを消します。--strays では人の判断で、正しいと分かっている世代よりあとに届き、どの世代にも属さないものを消します。施設の世代に含まれるものは決して消しません。"},
		{"drop up to so many generations this once; with --strays, files", "今回だけ、この数までの世代を消す（--strays ではファイルの数）"},
		{"the generations were compared with those that the site knows, and all are its own", "施設側の世代と見比べ、すべて施設のものと確認した"},
		{"only say what would be done, generation by generation", "予定を世代ごとに示すだけ"},
		{"drop what arrived after generation --since and belongs to none", "--since の世代よりあとに届き、どの世代にも属さないものを消す"},
		{"the newest generation that is known to be good", "正しいと分かっている最も新しい世代"},
		{"why; the ledger keeps it", "理由（台帳に残ります）"},
		{"  and %s more", "  ほか {1}"},
		{"would remove %s, %s, that came since generation %d and belong to none", "世代 {3} よりあとに届き、どの世代にも属さない {1}、{2}が消えます"},
		{"removed %s, %s, that came since generation %d and belonged to none", "世代 {3} よりあとに届き、どの世代にも属さない {1}、{2}を消しました"},
		{"%s in the place of generations that the site has not signed: of no use, and gone once they are older than min_age", "世代の場所に、施設の署名のないもの {1}: 使われません。min_age を過ぎると消えます"},
		{"%s, %s, came since generation %d and belong to none: a window was cut, and the next one counts on them, or they are somebody else's", "世代 {3} よりあとに届き、どの世代にも属さないもの {1}、{2}: 中断した開扉の残りで次の開扉が使うか、ほかの誰かのものです"},
		{"The quota of %s leaves %s: windows fail for want of room.", "上限 {1} の残りは {2} です。容量が足りず、開扉は失敗します。"},
		{"See what came since generation %d: airlock vault prune --strays --since %d --dry-run; with --reason TEXT instead it is dropped.", "世代 {1} よりあとに届いたものを見るには: airlock vault prune --strays --since {2} --dry-run。代わりに --reason 理由 を付けると消します。"},
		{"See what airlock knows nothing of: airlock vault prune --strays --since %d --dry-run; with --reason TEXT instead it is dropped.", "airlock の知らないファイルを確かめる: airlock vault prune --strays --since {1} --dry-run。代わりに --reason 理由 を付けると削除します。"},
		{"All that is here belongs to generations: give the vault a larger quota, or a smaller keep.", "ここにあるものはすべて世代に属しています。上限（quota）を大きくするか、keep を小さくしてください。"},
		{"would go", "消えます"},
		{"Check the vault's policy file, its folder, keys, clock and room, and say what to do", "設定ファイル、フォルダー、鍵、時計、容量を調べ、すべきことを示す"},
		{"Show how the vault stands: generations, room, last arrival, what a person must look at", "世代、容量、最後の到着、人が確認すべきことを表示"},
		{"print only the line for known_hosts", "known_hosts に加える行だけを表示"},
		{"# In the site's policy file, under vaults.NAME:", "# 施設の設定ファイルの vaults.NAME の下に:"},
		{"receipt_key: %s", "receipt_key: {1}"},
		{"# In the site's known_hosts, this line and nothing else (airlock vault keys --known-hosts >> FILE):", "# 施設の known_hosts に、次の 1 行をそのまま（airlock vault keys --known-hosts >> ファイル）:"},
		{"served", "受け入れ中"}, {"NOT SERVED", "受け入れていません"},
		{"Vault", "二次保管先"}, {"Generations", "世代"}, {"Newest", "最新"}, {"Room", "容量"}, {"Waiting", "待機中"}, {"Verified", "最後の読み直し"},
		{"generation %d, arrived %s", "世代 {1}、到着 {2}"},
		{"%s lie here, %s may still come", "使用中 {1}、あと {2} 入ります"},
		{"%s, %s, since generation %d", "{1}、{2}（世代 {3} 以降）"},
		{"! %s", "! {1}"}, {"ALARM %s", "警報 {1}"},
	}
}

// japaneseVaultHeard are what a window says of a vault's generations.
func japaneseVaultHeard() []phrase {
	return append(japaneseExamined(), []phrase{}...)
}

// japaneseExamined are what is wrong with a vault's host, and what to do about it.
func japaneseExamined() []phrase {
	return []phrase{
		{"the vault needs a person: %s", "二次保管先に人の対処が必要です: {1}"},
		{"vault's folder %s: another folder than before: its state in %s knows %s files and %s generations, of which none is there; is its disk mounted? If it was replaced: airlock vault serve --replaced", "二次保管先のフォルダー {1} は以前のフォルダーではありません: 状態フォルダー {2} の知るファイル {3} 件と世代 {4} 件が一つもありません。ディスクはマウントされていますか。交換したのなら: airlock vault serve --replaced"},
		{"it holds what the state knows", "状態フォルダーの知るものがあります"},
		{"mount its disk; if it was replaced: airlock vault serve --replaced, once, and then a window with --replaced", "ディスクをマウントしてください。交換したのなら airlock vault serve --replaced を一度だけ実行し、続けて施設側で --replaced を付けて開扉します"},
		{"mount its disk, or make it: %s", "ディスクをマウントするか、作ってください: {1}"},
		{"make it: %s; at the first start the vault's keys are made there", "作ってください: {1}。最初の起動のとき、二次保管先の鍵がそこに作られます"},
		{"give the vault's user the right to it: %s", "二次保管先を動かすユーザーに権限を与えてください: {1}"},
		{"run this as the user that serves the vault", "二次保管先を動かすユーザーで実行してください"},
		{"if the clock is right, say so: airlock vault prune --clock-is-right", "時計が正しいなら、そう伝えてください: airlock vault prune --clock-is-right"},
		{"airlock vault prune says what takes the room, and what to do", "何が容量を使っているか、どうすればよいかは airlock vault prune が示します"},
		{"write an address of this host in listen, have no other server on that port (sshd, perhaps), and for a port below 1024 let the service bind it", "listen にはこのホストのアドレスを書き、そのポートを別のサーバー（sshd など）が使わないようにしてください。1024 未満のポートなら、サービスに使う権限を与えてください"},
		{"%s: none yet; airlock vault keys makes it", "{1}: まだありません。airlock vault keys が作ります"},
		{"%s may be read by others (%s)", "{1} をほかの人が読めます（{2}）"},
		{"%s is not there", "{1} がありません"},
		{"%s is no folder", "{1} はフォルダーではありません"},
		{"nobody serves the vault: %s", "二次保管先が受け入れていません: {1}"},
		{"files that are not as they were: %s; airlock vault verify names them", "もとのままでないファイル {1} 件。名前は airlock vault verify で分かります"},
		{"nothing is dropped: %s", "何も消しません: {1}"},
		{"nothing is left but the reserve of %s, for windows that the site announces: airlock vault prune says what takes the rest", "残りは、施設が予告した開扉のための取り置き {1} だけです。ほかを何が使っているかは airlock vault prune が示します"},
		{"files in the place of generations that the site has not signed: %s; they count for nothing; somebody else has put them there, or a window was cut: airlock vault prune --strays drops them", "世代の場所に、施設の署名のないもの: {1}。世代には数えません。ほかの誰かが置いたか、途中で切れた開扉の残りです。airlock vault prune --strays で消せます"},
		{"there is no room for more: airlock vault prune says what takes it", "もう容量がありません。何が使っているかは airlock vault prune が示します"},
		{"%s of the quota of %s are left: airlock vault prune says what takes it", "上限 {2} の残りは {1} です。何が使っているかは airlock vault prune が示します"},
		{"no window has brought a generation yet", "まだどの開扉も世代を届けていません"},
		{"a file was not read back since %s, and read_all says %s: run airlock vault verify longer, or more often", "{1} から読み直していないファイルがあります（read_all は {2}）。airlock vault verify をもっと長く、または頻繁に実行してください"},
		{"alarms in the last seven days: %s, the newest: %s", "この 7 日間の警報 {1} 件。最新: {2}"},
	}
}
