package report

// japanese is what the page says in Japanese, by the English. The words are those of
// docs/glossary.md.
func japanese() map[string]string {
	return map[string]string{
		"Audit report": "監査報告書", "made": "作成",
		"{n} opening is not accounted for.": "説明のつかない開放が {n} 件あります。", "{n} openings are not accounted for.": "説明のつかない開放が {n} 件あります。",
		"Nobody measured how long {n} opening lasted; it counts with the longest that it can have been.":     "{n} 件の開放は、実際の長さを測れていません。あり得る最長の時間（≤）で計上しています。",
		"Nobody measured how long {n} openings lasted; they count with the longest that they can have been.": "{n} 件の開放は、実際の長さを測れていません。あり得る最長の時間（≤）で計上しています。",
		"unknown: no executor watched": "不明（実行役が動いておらず、監視していない時間）", "shut by": "閉鎖:", "drill": "復元訓練", "Seen shut": "閉鎖の確認", "Found by": "発見者", "patrol": "巡回", "start-up": "起動時の確認",
		"Every opening in this time is accounted for.": "期間中の扉の開放は、すべて記録と一致しています。",
		"openings by windows":                          "開扉の回数", "doors open in all": "開放時間の合計", "longest opening": "最長の開放時間", "openings by hand": "人の指示による開扉",
		"failures": "失敗", "openings not accounted for": "説明のつかない開放",
		"When doors stood open": "扉の開放状況",
		"A row is a day, from midnight to midnight. Openings of a few seconds are drawn wider than they lasted, so that they can be seen; at the right stands for how long the door was open that day.": "1 行が 1 日（0 時から 24 時）です。数秒の開放は、見えるように実際より太く描いています。右側は、その日に扉が開いていた時間です。",
		"window on schedule": "予定による開扉", "window by hand": "人の指示による開扉", "not accounted for": "説明のつかない開放", "open that day": "その日の開放時間",
		"No door was opened.": "扉は一度も開けていません。",
		"By month":            "月別", "Month": "月", "Windows": "開扉", "Not whole": "完了以外", "Open in all": "開放時間の合計", "Longest": "最長", "Sent": "送信",
		"Openings that nobody accounts for": "説明のつかない開放",
		"A door was found open, or shows that it was, without a window of airlock's; or the guard had to shut it.": "airlock による開扉ではないのに扉が開いていた、または開いた形跡があったもの。見張りが閉じたものを含みます。",
		"Door": "扉", "Open since, at the earliest": "開放の始まり（最も早い場合）", "At most": "最長", "Evidence": "根拠", "Entry": "記録", "not seen shut": "閉鎖を未確認",
		"None.": "ありません。", "Openings by hand": "人の指示による開扉", "Failures": "失敗",
		"Time": "時刻", "What": "対象", "Result": "結果", "Why": "原因", "Lockdowns": "封鎖と解除", "Restores and drills": "復元と復元訓練",
		"Files": "ファイル", "Size": "サイズ", "Took": "所要時間", "By": "実行者", "Reason": "理由",
		"None. A backup of which nothing was ever restored is a hope.": "ありません。復元を試していないバックアップは、戻せるとは限りません。",
		"Readings back of repository and vault":                        "一次保管先・二次保管先の読み直し検証", "Alarms": "警報", "Alarm": "内容", "Clock": "時計",
		"{n} entry was written while the clock was not synchronised.": "{n} 件は、時刻が同期していない間の記録です。", "{n} entries were written while the clock was not synchronised.": "{n} 件は、時刻が同期していない間の記録です。",
		"{n} entry could not be written when it happened, and is marked late.": "{n} 件は、その場で書き込めず、遅れて記録しました（遅延の印つき）。", "{n} entries could not be written when they happened, and are marked late.": "{n} 件は、その場で書き込めず、遅れて記録しました（遅延の印つき）。",
		"The clock was never stepped.": "時計の急な変更はありません。",
		"All windows":                  "開扉の一覧", "Versions": "バージョン", "From": "開始", "airlock was not started in this time.": "この期間に airlock は起動していません。",
		"The ledger behind this page": "この報告書のもとになった台帳",
		"This page believes the ledger. That no entry was changed, removed or added is shown by airlock audit verify, which needs the site's public key and, to find a ledger made anew, a head that was kept elsewhere: in a generation of the vault, by the monitoring, or printed here in an earlier report.": "この報告書は、台帳の内容をそのまま集計したものです。記録の書き換え・削除・追加がないことは airlock audit verify で確かめます。検証には施設の公開鍵が必要です。台帳が丸ごと作り直されていないことを確かめるには、別の場所に残した台帳ヘッド（二次保管先の世代、監視システム、以前の報告書に印刷されたもの）も使います。",
		"The newest signed head, as airlock audit verify --head takes it from this page:": "最新の署名つき台帳ヘッド（このページは airlock audit verify の --head にそのまま指定できます）",
		"Entries in this time": "期間中の記録", "Entries in all": "台帳全体の記録", "Root": "ルートハッシュ", "Signed head of": "署名つき台帳ヘッド 件数",
		"Opened": "開扉", "Vault": "二次保管先", "For": "目的", "Open for": "開放時間",
		"s": "秒", "min": "分", "h": "時間", "met": "達成", "NOT MET": "未達成",
		"copying": "複製", "restoring": "復元", "verifying": "検証", "listing": "一覧", "healing": "修復",
		"read back": "読み直し", "amiss": "異常", "generations dropped": "消した世代",
		"done": "完了", "in part": "一部完了", "failed": "失敗", "refused": "拒否", "cut": "中断", "held": "保留", "sound": "異常なし", "damaged": "破損あり",
		"guard": "見張り", "locked": "封鎖", "released": "解除",
		"Mon": "月", "Tue": "火", "Wed": "水", "Thu": "木", "Fri": "金", "Sat": "土", "Sun": "日",
	}
}
