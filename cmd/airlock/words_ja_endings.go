package main

// japaneseEndings are about how a program ends, and who shuts its door then.
func japaneseEndings() []phrase {
	return []phrase{
		{"signal: %s", "シグナル: {1}"},
		{"what came of it cannot be written: %s", "結果を出力できません: {1}"},
		{"what came of it could not be written: %s", "結果を出力できませんでした: {1}"},
		{"the policy file has changed; airlock runs with that of %s; restart it", "設定ファイルが変更されています。airlock は {1} の設定で動いています。再起動してください"},
		{"the policy file has changed and cannot be used; airlock runs with that of %s; mend it before a restart", "設定ファイルが変更され、使えない状態です。airlock は {1} の設定で動いています。再起動の前に直してください"},
		{"mistakes in it: %s; airlock check names them", "誤り {1} 件。airlock check で確認してください"},
		{"no guard is heard of, and nobody else would shut the door if this process ended; run airlock guard: %s", "見張りがおらず、このプロセスが終わると扉を閉じる者がいません。airlock guard を動かしてください: {1}"},
		{"start a watcher: %s", "立会役を起動できません: {1}"},
		{"the watcher ended: %s", "立会役が終了しました: {1}"},
		{"the watcher was not ready within %s: %s", "立会役が {1} 以内に準備できませんでした: {2}"},
		{"the door's watcher has ended", "扉の立会役が終了しました"},
		{"%s: a defect in airlock ended it: %s", "{1}: airlock の不具合で終わりました: {2}"},
	}
}
