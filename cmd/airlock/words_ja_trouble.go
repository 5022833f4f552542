package main

// japaneseTrouble are this program's own texts about orders by hand while something is wrong.
func japaneseTrouble() []phrase {
	return []phrase{
		{"released", "封鎖を解除しました"},
		{"note: %s", "注意: {1}"},
		{"%s is open again", "{1} を開けました"},
		{"Open a door that rests open again, after a person shut it", "普段開いている扉を、人が閉じたあとで開ける"},
		{"%s is %s: %s", "{1}: {2}（{3}）"},
		{"note: the executor at %s runs the site %s, and this policy file is of %s", "注意: {1} の実行役は施設 {2} のもので、この設定ファイルは {3} のものです"},
		{"note: the executor runs with the policy file of %s (%s), and not with that of %s (%s): restart it to have the newer one in force", "注意: 実行役は {1} の設定ファイル（{2}）で動いていて、{3} のもの（{4}）ではありません。新しい方を有効にするには再起動してください"},
		{"warning: %s", "警告: {1}"},
		{"only the newest, so many", "新しい方から指定の件数だけ"},
		{"the doors are shut, but: %s", "扉は閉じていますが、次の問題があります: {1}"},
		{"state `folder`, where the policy file cannot be used", "設定ファイルを使えないときの状態フォルダー `folder`"},
		{"ask the executor at this status `address`, http://HOST:PORT, as anybody may who reaches it", "この `address`（http://ホスト:ポート）の実行役に問い合わせる。届く人なら誰でも使える"},
	}
}

// japaneseTroubleHeard are what is said of files that cannot be read, and of orders by hand
// while something is wrong.
func japaneseTroubleHeard() []phrase {
	return []phrase{
		{"%s; used is the policy of %s, %s", "{1}。{2} の設定（{3}）を使います"},
		{"%s; the executor at %s has its own", "{1}。{2} の実行役は自分の設定で動いています"},
		{"the policy file has mistakes, which airlock check tells", "設定ファイルに誤りがあります。内容は airlock check で分かります"},
		{"neither an executor nor a guard runs, so nothing is gathered and nobody shuts a door: start airlock serve and airlock guard (%s)", "実行役も見張りも動いていません。収集も行われず、扉を閉じる者もいません。airlock serve と airlock guard を起動してください（{1}）"},
		{"%s answers with what is no status of airlock", "{1} の答えは airlock の状態ではありません"},
		{"not all could be written down: %s", "書き残せなかったものがあります: {1}"},
		{"%s; gatherings that go through it fail; when the matter is settled: airlock open %s --reason TEXT", "{1}。この扉を通る収集は失敗します。解決したら: airlock open {2} --reason 理由"},
		{"%s rests open, and was shut by %s on %s", "普段開いている {1} は、{3} に {2} が閉じました"},
		{"%s rests open, and was found shut", "普段開いている {1} が閉じています"},
		{"%s; no door is opened meanwhile", "{1}。その間、扉は開けません"},
		{"the lockdown file cannot be read: %s", "封鎖のファイルを読めません: {1}"},
		{"the ledger cannot be asked for a lockdown: %s", "封鎖中かどうかを台帳で確かめられません: {1}"},
		{"the ledger cannot be compared just now with the head that vault %s holds: %s", "二次保管先 {1} の持つ台帳ヘッドと、いまは照合できません: {2}"},
		{"%s; a file %s that is damaged may be removed, for the next window asks the vault itself", "{1}。壊れた {2} は消してかまいません。次の開扉で二次保管先そのものに確かめます"},
		{"the guard's ledger is not what it was: %s; put the very file back, or restart the guard", "見張りの台帳がもとのものではありません: {1}。同じファイルを元に戻すか、見張りを起動し直してください"},
		{"the guard's ledger is not what it was", "見張りの台帳がもとのものではありません"},
		{"another guard runs", "別の見張りが動いています"},
		{"%s with the ledger %s: process %s; end that one first", "{1}（台帳 {2}、プロセス {3}）。先にそれを終了してください"},
		{"nobody knows whether a guard runs: %s", "見張りが動いているか分かりません: {1}"},
		{"no guard on another machine is expected: guard.leases in the policy file says that there is one", "別のサーバーの見張りは予定されていません。動かす場合は設定ファイルの guard.leases に書きます"},
		{"this name is none of this site's: ask by its address, or add the name to status.hosts in the policy file", "この名前では答えません。アドレスで問い合わせるか、名前を設定ファイルの status.hosts に加えてください"},
		{"too many ask at once", "問い合わせが多すぎます"},
		{"door %s: the door was not opened: %s", "扉 {1} を開けませんでした: {2}"},
		{"it is not in the policy file; there are %s", "設定ファイルにありません。あるのは {1}"},
		{"it rests shut, and opens in a window alone: airlock window VAULT", "普段閉じている扉は、開扉でしか開きません: airlock window 二次保管先"},
		{"there is a lockdown; end it first: airlock release", "封鎖中です。先に解除してください: airlock release"},
		{"a window has the vault's door; try again when it is over: airlock status", "二次保管先の扉を使う開扉が進行中です。終わってから再度試してください: airlock status"},
		{"the vault's door %s was not read as shut: %s", "二次保管先の扉 {1} の閉鎖を確認できません: {2}"},
		{"the vault's door %s is %s, and has to be proven shut first", "二次保管先の扉 {1} は{2}です。先に閉鎖の確認が必要です"},
		{"it is open", "開いています"},
		{"another vault's door is not proven shut, or its window has this door", "別の二次保管先の扉が閉鎖を確認できていないか、その開扉がこの扉を使っています"},
		{"it was not read back as open: %s; airlock status tells how it stands", "開いたことを確認できません: {1}。状態は airlock status で分かります"},
		{"the policy file cannot be read any more; airlock runs with that of %s: %s", "設定ファイルを読めなくなりました。airlock は {1} の設定で動いています: {2}"},
		{"the guard runs with the policy file of %s, and the executor with that of %s; restart the guard, or both", "見張りは {1} の、実行役は {2} の設定ファイルで動いています。見張り、または両方を再起動してください"},
		{"nothing was done, for the order is of another site: %s", "別の施設への指示なので、何も行いませんでした: {1}"},
		{"it is of %s, and this executor runs %s: name that site's policy file with -c, or give %s a state folder of its own", "指示は {1} のもので、この実行役は {2} のものです。その施設の設定ファイルを -c で指定するか、{3} に別の状態フォルダーを使ってください"},
		{"%s; the executor runs with the policy file of %s, which was changed since: restart it", "{1}。実行役は {2} の設定ファイルで動いていて、ファイルはその後変更されています。再起動してください"},
		{"%s belongs to the user %s, neither root nor the one by whom airlock runs, who would decide what airlock does; run: %s", "{1} は root でも airlock の実行ユーザーでもないユーザー {2} のものです。airlock の動作を他人が決められる状態です。次を実行してください: {3}"},
		{"%s may be written by others than its owner (mode %s), who would decide what airlock does; run: %s", "{1} を所有者以外も書き換えられます（モード {2}）。airlock の動作を他人が決められる状態です。次を実行してください: {3}"},
		{"in the folder %s others than its owner may replace %s (mode %s); run: %s", "フォルダー {1} では、所有者以外も {2} を置き換えられます（モード {3}）。次を実行してください: {4}"},
		{"no entry of the ledger has the %s %q; the policy file has %s", "台帳に {1} が {2} の記録はありません。設定ファイルにあるのは {3}"},
		{"no entry of the ledger has the %s %q; did you mean --actor %q?", "台帳に {1} が {2} の記録はありません。もしかして --actor {3}"},
		{"no entry of the ledger has the %s %q; people are user NAME, and others schedule, airlock, guard", "台帳に {1} が {2} の記録はありません。人は \"user 名前\"、ほかは schedule、airlock、guard です"},
		{"no entry of the ledger has the %s %q", "台帳に {1} が {2} の記録はありません"},
		{"--last is a number of entries", "--last は件数です"},
		{"the repository's passphrase: %s does not exist; for a new site run: airlock init; for one that exists, write the passphrase of the recovery kit into it and run: %s", "一次保管先のパスフレーズがありません（{1}）。新しい施設なら airlock init を実行してください。既存の施設なら、復旧キットのパスフレーズをそこに書き、次を実行してください: {2}"},
		{"nobody knows whether there is a lockdown", "封鎖中かどうかが分かりません"},
	}
}
