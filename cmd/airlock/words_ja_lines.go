package main

// japaneseLines are about connections, secrets and keys.
func japaneseLines() []phrase {
	return []phrase{
		{"warning: %s has insecure: true: its line is neither encrypted nor signed, and what somebody changes on the way is not found", "警告: {1} に insecure: true があります。この接続は暗号化も署名もされず、途中で書き換えられても気づけません"},
		{"warning: %s: %s", "警告: {1}: {2}"},
		{"note: %s: %s", "注意: {1}: {2}"},

		// Keys.
		{"On the vault's host write this line as public_key of the client %s in vault.yaml; then pin its keys here: airlock vault keys (there) prints them.", "この行を、二次保管先のホストの vault.yaml で、クライアント {1} の public_key に書いてください。そのあと、ホスト側で airlock vault keys が表示する鍵を、こちらに登録します。"},
		{"On %s append this line to .ssh/authorized_keys of the user %s, best behind the word restrict and a space.", "この行を、{1} の利用者 {2} の .ssh/authorized_keys に追加してください。行頭に restrict と空白を置くのが安全です。"},
		{"Then see what is still missing: airlock check", "足りないものがないか確かめてください: airlock check"},
		{"Make the key by which airlock enters a vault or a source over SFTP", "SFTP で二次保管先や取得元に入るための鍵を作る"},
		{"Make a key pair where the policy file names the key, and print its public half", "設定ファイルが指す場所に鍵ペアを作り、公開側を表示する"},
		{"Make an Ed25519 key pair where the policy file names the key of that vault, system's source or repository, and print its public half, which lies beside it as NAME.pub. A file that is there already is never replaced.", "その二次保管先・取得元・一次保管先の鍵として設定ファイルが指す場所に、Ed25519 の鍵ペアを作り、公開側を表示します（隣の NAME.pub にも書きます）。すでにあるファイルは決して置き換えません。"},
	}
}

// japaneseLinesHeard are what others say of connections, secrets and keys.
func japaneseLinesHeard() []phrase {
	return []phrase{
		{"%s is there already, and was left as it is; its public line shows: ssh-keygen -y -f %s", "{1} はすでにあり、そのままにしました。公開側の行を表示するには: ssh-keygen -y -f {2}"},
		{"%s is there already, and no private key beside it; move it away", "{1} はすでにありますが、秘密鍵が隣にありません。別の場所へ移してください"},
		{"ssh: no login was tried: %s is not in %s; it stands behind a shut door, where ssh-keyscan does not reach it; print its key at that host itself (`airlock vault keys --known-hosts`; of another server `cat /etc/ssh/ssh_host_ed25519_key.pub`), and add this line to %s: %s ssh-ed25519 AAAA…", "ssh: ログインしていません: {1} が {2} にありません。閉じた扉の奥にあり、ssh-keyscan では届きません。そのホスト自身で鍵を表示し（`airlock vault keys --known-hosts`、ほかのサーバーなら `cat /etc/ssh/ssh_host_ed25519_key.pub`）、次の形の行を {3} に加えてください: {4} ssh-ed25519 AAAA…"},
		{"the switch was not entered: %s", "スイッチにログインしていません: {1}"},
		{"%s any more: %s was changed while the repository was open; put back what the recovery kit says, before this program is started again", "パスフレーズが一次保管先に合わなくなりました（{1}）。一次保管先を開いている間に {2} が書き換えられました。このプログラムを再起動する前に、復旧キットのとおりに戻してください"},
		{"the repository is open, and could not be opened again: %s", "一次保管先は開いていますが、このままでは開き直せません: {1}"},
		{"the passphrase for the new repository, %s: %s; whoever types it from the recovery kit would not get in; nothing was made", "新しい一次保管先のパスフレーズ（{1}）: {2}。復旧キットを見て打ち込んでも開けなくなるため、何も作っていません"},
		{"gathered, but under a name that Samba made up, since Windows could not have the true one: set mangled names = no in the server's smb.conf, or have it renamed", "収集しましたが、Windows に置けない名前のため Samba が作った仮の名前です。サーバーの smb.conf に mangled names = no を書くか、名前を変えてもらってください"},
		{"warning: %s is not the repository's own, and was passed over; remove it, and keep Macs, NAS indexers and synchronizing programs away from that folder", "警告: {1} は一次保管先のものではないため、無視しました。削除し、Mac や NAS の索引作成、同期プログラムがこのフォルダーに触れないようにしてください"},
	}
}
