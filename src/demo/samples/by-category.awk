# awk -f by-category.awk expenses.csv
BEGIN { FS = "," }
NR > 1 { sum[$(NF - 1)] += $NF; total += $NF }
END {
    for (category in sum) printf "%-10s %8.2f\n", category, sum[category]
    printf "%-10s %8.2f\n", "total", total
}
